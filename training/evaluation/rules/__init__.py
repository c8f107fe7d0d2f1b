"""How answers about images are marked: rules without a model, each with the source it follows."""
