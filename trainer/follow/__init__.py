"""Images with masks, and the network that finds a person in them."""
