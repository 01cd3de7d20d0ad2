"""Plugins as Python packages: from the checkout, installed, or in the performer's folder of plugin folders."""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from antiphon.kernel.errors import AntiphonError, PluginError
from antiphon.kernel.runtime import paths, resources


def import_object(where: str) -> Any:
    """Imports the object named "module:Name", also from the performer's plugin folder. Raises `PluginError`."""
    module, _, name = where.partition(":")
    value = getattr(import_module(module), name, None)
    if value is None:
        raise PluginError(f"{module} has no {name!r}")
    return value


versions: dict[str, Path] = {}
"""Folder of the version imported by this process, by plugin, instead of the one in the performer's folder."""


def import_module(name: str) -> ModuleType:
    """Imports a module, also one of a plugin in the performer's folder. Raises `ImportError`."""
    package = name.partition(".")[0]
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        add_checkout_plugins()
        folder = versions.get(package) or paths.plugins() / package
        if importlib.util.find_spec(package) is None and folder.is_dir():
            import_folder(folder)
    return importlib.import_module(name)


def import_folder(folder: Path) -> ModuleType:
    """Imports the package in `folder` under its name; `PluginError` if it is no package or its name is used."""
    name, start = folder.name, folder / "__init__.py"
    if not name.isidentifier():
        raise PluginError(f"{name!r} is not a Python name; rename the folder with letters, digits and _")
    if not start.is_file():
        raise PluginError(f"{folder} has no __init__.py; put the plugin's hooks there")
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(start):
        remove_modules(name)
    elif known is not None or importlib.util.find_spec(name) is not None:
        raise PluginError(f"{name!r} is the name of another Python module; rename the folder")
    spec = importlib.util.spec_from_file_location(name, start, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    importlib.invalidate_caches()
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        remove_modules(name)
        raise
    return module


def remove_modules(name: str) -> dict[str, ModuleType]:
    """Removes a package and its modules from the imported ones, and returns them by name."""
    return {key: sys.modules.pop(key) for key in list(sys.modules) if key == name or key.startswith(f"{name}.")}


def add_checkout_plugins() -> None:
    """Adds the plugins, models and benches of a working tree to `sys.path` where they are not installed."""
    if (root := resources.checkout()) is None:
        return
    for folder in resources.source_folders(root):
        package = next(folder.glob("antiphon*/__init__.py"), None)
        if package is not None and importlib.util.find_spec(package.parent.name) is None:
            sys.path.append(str(folder))


def import_late(
    module: str, refuse: Callable[[str], NoReturn] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a module whose imports below `if TYPE_CHECKING` are made when a name is used.

    `refuse` raises for a name that the module has not.
    """
    refuse = refuse or refuse_former(module, {})
    facade = sys.modules[module]

    @cache
    def places() -> dict[str, tuple[str, str]]:
        blocks = [
            block for block in ast.parse(Path(str(facade.__file__)).read_bytes()).body if isinstance(block, ast.If)
        ]
        lines = [line for block in blocks for line in block.body if isinstance(line, ast.ImportFrom)]
        return {name.asname or name.name: (str(line.module), name.name) for line in lines for name in line.names}

    def get(name: str) -> Any:
        if name.startswith("__") or name not in places():
            refuse(name)
        place, there = places()[name]
        value = getattr(importlib.import_module(place), there)
        setattr(facade, name, value)
        return value

    return get, lambda: sorted({*vars(facade), *places()})


def refuse_former(module: str, former: Mapping[str, str]) -> Callable[[str], NoReturn]:
    """`__getattr__` of a module that tells who imports a former name what replaces it, by an `ImportError`."""

    def get(name: str) -> NoReturn:
        if name in former:  # the text of an AttributeError would be lost in `from module import name`
            raise ImportError(f"{module} has no {name} any more; {former[name]}", name=module)
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)

    return get


_NOT_THEIRS = (str(Path(__file__).parents[2]), str(Path(importlib.__file__).parent), "<frozen")
"""Beginnings of the paths of code that may raise an exception whose cause is in a plugin."""


def plugin_location(error: BaseException) -> str:
    """The place as " (FILE, line N)"; "" where it is in no plugin. Reads no file: for the block path too."""
    if isinstance(error, SyntaxError) and error.filename:
        # the line that cannot be read, not the one that imports it
        return f" ({Path(error.filename).name}, line {error.lineno})"
    place, installed, step = "", "", error.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if not name.startswith(_NOT_THEIRS):
            found = f" ({name.rpartition('/')[2]}, line {step.tb_lineno})"
            # what a plugin calls, as numpy, is named only where the plugin is a package that was installed too
            place, installed = (place, found) if "/site-packages/" in name else (found, installed)
        step = step.tb_next
    return place or installed


Factory = Callable[[], Any]


def resolve(factory: str | Factory) -> Factory:
    """The factory as a callable; "module:Name" is imported when it is called."""
    if callable(factory):
        return factory
    if not isinstance(factory, str) or not all(part for part in factory.partition(":")):
        raise PluginError(f'the factory is {factory!r}; a callable or "module:Name" is allowed')
    return partial(_call_object_by_name, factory)


def _call_object_by_name(where: str) -> Any:
    return import_object(where)()


def reason_of(error: BaseException) -> str:
    """An exception as one sentence, with file and line in the plugin where it was raised."""
    # the text of a SyntaxError has the place already
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:300]
    if isinstance(error, AntiphonError):
        return text
    where = plugin_location(error)
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"
