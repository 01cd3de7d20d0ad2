"""Plays model files of the library as nodes, each in a worker process; has a reference model for tests."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `model`."""
    register(
        "model",
        "antiphon_model.processor:ModelNode",
        "Plays a model of the library (ONNX, RAVE) in a process of its own.",
    )


@hookimpl
def antiphon_models(register: Register) -> None:
    """Registers `reference`, and the model files of the library."""
    register("reference", "antiphon_model.spec:reference", "Passes its input unchanged; for tests and measurements.")
    register("library", "antiphon_model.model_file:Library", "Model files of the library.")
