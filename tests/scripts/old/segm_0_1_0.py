"""Instance segmentation.

python segm.py train --label label.txt --train train.json --valid valid.json \\
    --test test.json --output_weights model.pth
python segm.py evaluate --data test.json --model_weights model.pth --output figures
python segm.py inference --data images --model_weights model.pth --output results
"""

# cvtk: {"version": "0.1.0", "task": "segm", "mode": "helper", "model": "rtmdet-ins_tiny_8xb32-300e_coco"}
import argparse

import cvtk

# The architecture: a name in MMDetection's model zoo, or a configuration file.
MODEL = "rtmdet-ins_tiny_8xb32-300e_coco"
TASK = "segm"  # masks and boxes


def number(text):
    """A whole number, or "auto"."""
    return text if text == "auto" else int(text)


# Options: commands, name, type, default ("..." must be given), meaning.
OPTIONS = [
    ("train", "label", str, ..., "class names, one a line"),
    ("evaluate inference", "label", str, None, "the same; the weights know them too"),
    ("train", "train", str, ..., "COCO file of the images to learn from"),
    ("train", "valid", str, None, "COCO file of images that tell the best epoch"),
    ("train", "test", str, None, "COCO file of images for the final figures"),
    ("train", "output_weights", str, ..., "weights to write, NAME.pth; names the rest"),
    ("train", "epoch", int, 24, "how often each image is seen"),
    ("train", "batch_size", number, 4, "images in a step; auto: what fits the GPU"),
    ("train", "num_workers", int, 2, "processes that read images"),
    ("train", "lr", float, None, "learning rate, else fitted to the batch size"),
    ("train", "image_size", int, None, "in pixels, else the architecture's own"),
    ("train", "weights", str, "coco", "start: coco, imagenet, none, file or URL"),
    ("train", "seed", int, 0, "of all that is random"),
    ("train", "resume", bool, False, "go on from the last epoch, if there is one"),
    ("train", "early_stop", int, None, "end after so many epochs without a better AP"),
    ("train", "amp", bool, False, "mixed precision: faster, less memory (GPU only)"),
    ("train", "accumulate", int, 1, "batches that make one step together"),
    ("train", "tensorboard", bool, False, "log for TensorBoard, in the workspace"),
    ("train", "set", list, [], "KEY=VALUE of the configuration; may be repeated"),
    ("train", "print_config", bool, False, "show the configuration, and end"),
    ("evaluate", "data", str, ..., "COCO file"),
    ("inference", "data", str, ..., "image, folder, text file of paths, or COCO file"),
    ("evaluate inference", "model_weights", str, ..., "weights that train wrote"),
    ("evaluate inference", "output", str, ..., "folder for the results"),
    ("inference", "score", float, 0.3, "lowest score to draw and write"),
    ("inference", "batch_size", int, 1, "images at a time"),
    ("all", "trust_weights", bool, False, "load any file: it may run code"),
    ("all", "device", str, "auto", "auto, cpu or cuda:0"),
    ("all", "force", bool, False, "replace old results"),
]
# Settings of the training, as with --set; --print_config shows every key.
SETTINGS = [
    # "+model.backbone.frozen_stages=2",  # stages of the backbone that do not learn
    # "param_scheduler.0.end=100",  # steps of warm-up
    # "param_scheduler.1.milestones=[16, 22]",  # epochs after which the rate falls
    # "param_scheduler.1.gamma=0.1",  # to this share of it
    # "default_hooks.checkpoint.save_best=coco/segm_mAP_50",  # as in Pascal VOC
    "default_hooks.checkpoint.interval=1",  # epochs
    "default_hooks.logger.interval=50",  # steps
]


def train(options):
    """Trains; with test images, also evaluates."""
    model = cvtk.create_model(MODEL, labels=options.pop("label"), task=TASK)
    options["set"] = SETTINGS + options["set"]
    model.train(**options)


def trained(options):
    """The model that some weights belong to."""
    weights, labels = options.pop("model_weights"), options.pop("label")
    trust = options.pop("trust_weights")
    return cvtk.create_model(weights, labels=labels, trust_weights=trust)


def evaluate(options):
    """Writes the figures for any annotated images."""
    model = trained(options)
    model.evaluate(**options)


def inference(options):
    """Draws what the model finds, and writes it as a COCO file."""
    model = trained(options)
    model.predict_to_files(**options)


def main():
    """Reads the options, and runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for command in (train, evaluate, inference):
        group = commands.add_parser(command.__name__, help=command.__doc__)
        for used_by, name, kind, default, text in OPTIONS:
            if used_by == "all" or command.__name__ in used_by.split():
                names = dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"])
                action = {bool: "store_true", list: "append"}.get(kind)
                more = {"type": kind, "required": default is ...}
                more = {"action": action} if action else more
                group.add_argument(*names, default=default, help=text, **more)
        group.set_defaults(run=command)
    options = vars(parser.parse_args())
    run = options.pop("run")
    run(options)


if __name__ == "__main__":  # worker processes import this file again
    cvtk.run(main)  # a mistake ends in one readable line
