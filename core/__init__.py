"""What everything stands on: records, settings, roles, inputs, errors. Nothing here knows of models, nodes or graphs."""
