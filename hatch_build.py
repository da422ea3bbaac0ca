"""What the wheel carries beside the package: the templates and the start-up hook of the operators."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOOK = {
    "src/_cvtk_mmcv_ops.py": "_cvtk_mmcv_ops.py",
    "src/_cvtk_mmcv_ops.pth": "_cvtk_mmcv_ops.pth",
}


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds files by the kind of wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable install reads `templates/` from the checkout, so it gets only the hook.

        It gets a copy of the hook's module too: Python reads .pth files by name, so the hook's comes before
        the one that makes `src` importable.
        """
        if version == "editable":
            build_data["force_include_editable"] = dict(HOOK)
        else:
            build_data["force_include"].update({"templates": "cvtk/templates", **HOOK})
