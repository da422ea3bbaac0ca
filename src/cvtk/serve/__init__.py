"""A model as a web service on this machine: images in, objects out, and a page to try it."""
