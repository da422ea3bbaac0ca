"""The formats of labelling tools: one module each that reads it, some write it, and one record each.

A reader is `read(path) -> Converted`; a writer is `write(dataset, sources, folder, notes, images)`. The
records are in `records`, and `detect` tells which format a path is in.
"""
