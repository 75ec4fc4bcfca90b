"""How good a model is, and that its quantized file answers as it does."""
