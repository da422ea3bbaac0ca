"""How an architecture's configuration, made for COCO, is fitted to the user's data and machine.

A configuration of MMDetection is made for 80 classes, 118,000 images and 8 GPUs. The functions here change
it, as plain dicts, and import nothing of mm*. Those of `fit`, and what it uses, are also put into the
vanilla script as source (see `cvtk.scripts.source`), so they import nothing of cvtk but each other, the
errors, and the type of the options.
"""
