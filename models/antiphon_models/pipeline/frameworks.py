"""Training frameworks of the classifier, with requirements and installation."""

from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.api import UsageError
from antiphon.api.backends.runtime import FRAMEWORK_MODULES, lacking_modules, missing_modules, require_modules


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework.

    `trainer`: where its trainer is: MODULE:CLASS. `several`: whether it trains sounds with several labels.
    """

    name: str
    trainer: str
    title: str
    several: bool = True


_ROOM = "antiphon_models.pipeline.training"
FRAMEWORKS = {
    framework.name: framework
    for framework in (
        Framework("sklearn", f"{_ROOM}.by_sklearn:SklearnTrainer", "scikit-learn"),
        Framework("torch", f"{_ROOM}.by_torch:TorchTrainer", "PyTorch"),
        Framework("keras", f"{_ROOM}.by_keras:KerasTrainer", "Keras on TensorFlow", False),
        Framework("fastai", f"{_ROOM}.by_fastai:FastaiTrainer", "fastai"),
    )
}
"""Frameworks by name, the baseline first."""
RUNTIME = "onnxruntime"
"""Runtime of the classifiers of all frameworks."""


def missing(framework: Framework) -> str:
    """First missing module of a framework, or ""."""
    return next(iter(lacking_modules(FRAMEWORK_MODULES[framework.name])), "")


def chosen(names: Sequence[str]) -> list[Framework]:
    """Frameworks of these names, or all installed ones. Raises `UsageError`: one of them, or any, is not installed."""
    if not names:
        present = [framework for framework in FRAMEWORKS.values() if not missing(framework)]
        if not present:
            raise UsageError(
                "no framework to train with is installed; `pip install 'antiphon-lab[torch]'` brings PyTorch"
            )
        return present
    for name in names:
        if module := missing(FRAMEWORKS[name]):
            raise UsageError(missing_modules(name, module, extra=name))
    return [framework for name, framework in FRAMEWORKS.items() if name in names]


def check_runtime() -> None:
    """Checks the classifier runtime. Raises `UsageError`: it is not installed."""
    require_modules("playing classifiers", [RUNTIME])
