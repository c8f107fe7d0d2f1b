"""What a viewer sees of a run: one trace a task, the same for every viewer.

`recorder.py` listens to LangGraph and builds the tree (`tree.py`), `shown.py` says what of it is shown, `scores.py` adds the
scores from the row, `tracer.py` decides which tasks are traced and `sending.py` hands their traces over in the background;
one file a viewer sends them: `to_mlflow.py`, `to_langsmith.py`, `to_otlp.py` (`to_langfuse.py` adds its scores).
"""
