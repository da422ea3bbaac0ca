"""Measurements of objects in images: sizes, shapes, colours and distances, in pixels and millimetres."""
