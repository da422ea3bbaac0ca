"""Start-up hook: lets `mmcv.ops` import where mmcv came without its compiled extension.

`_cvtk_mmcv_ops.pth` imports this at every start of Python in the environment, so it does next to nothing:
one finder at the end of `sys.meta_path`, asked for a module only after all others have failed. A compiled
`mmcv._ext` is therefore never shadowed.
"""

import sys

TYPE_CHECKING = False  # `typing` would cost more than all the rest
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class MmcvExtFinder:
    """Finds `mmcv._ext`, and nothing else, in `cvtk.ops`."""

    @classmethod
    def find_spec(
        cls,
        name: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        """Gives the module's specification, or None for every other name.

        Args:
            name: Full name of the module to be imported.
            path: The parent package's `__path__`.
            target: A module to be reloaded.

        Returns:
            The specification of `mmcv._ext`; None where cvtk is broken or half removed, so that Python then
            says what it would say without cvtk.
        """
        if name != "mmcv._ext":
            return None
        # Finders may have been appended after this one; they go first too.
        for finder in (
            sys.meta_path[sys.meta_path.index(cls) + 1 :]
            if cls in sys.meta_path
            else []
        ):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
        try:
            from cvtk.ops import mmcv_ext_spec

            return mmcv_ext_spec()
        except Exception:
            return None


sys.meta_path.append(MmcvExtFinder)
