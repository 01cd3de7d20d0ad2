"""Terms of each interface for the same arguments, parameters, calls and files."""

from tests import accepted

from antiphon.kernel.runtime.terms import (
    COMMAND_LINE,
    NAMES,
    PROGRAM,
    WEB,
    hold_file_names,
    path_text,
    spell,
    spell_call,
    spell_parameter,
    use_terms,
)


def test_terms_of_each_interface_are_as_accepted() -> None:
    def answer(call: str) -> str:
        words = []
        for terms in (COMMAND_LINE, NAMES, PROGRAM, WEB):
            with use_terms(terms):
                words.append(eval(call, {"spell": spell, "value": spell_parameter, "call": spell_call}))
        return " | ".join(words)

    accepted.compare(__file__, answer)
    assert spell("rate") == "--rate"


def test_file_known_by_a_name_is_called_by_it() -> None:
    with hold_file_names({"/tmp/x/in.wav": "the sound", "/tmp/x": "the result"}):
        found = [path_text(f"/tmp/{file}") for file in ("x/in.wav", "x/a/b.wav", "y.wav")]
    assert found == ["the sound", "the result", "/tmp/y.wav"]
    assert path_text("/tmp/x/in.wav") == "/tmp/x/in.wav"
