"""A data set whose test would be empty, by the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.datasets.trees import sound


def test_a_test_without_sounds_is_refused_before_hours_of_training(tmp_path: Path) -> None:
    for module in ("pyarrow", "apache_beam", "sklearn", "onnxruntime"):
        pytest.importorskip(module)
    irmas = tmp_path / "IRMAS"
    for label in ("cel", "flu"):
        for number in range(3):
            sound(irmas / f"IRMAS-TrainingData/{label}/[{label}][cla]{number:04d}__1.wav")
    (irmas / "IRMAS-TrainingData/flu/[flu][cla]0002__1.wav").write_bytes(b"")
    clip = irmas / "IRMAS-TestingData-Part1/Part1/01 - duo-1.wav"
    sound(clip)
    clip.with_suffix(".txt").write_text("cel\t\nflu\t\n")
    toml = tmp_path / "duo.toml"
    settings = '[preprocess]\nshards = 1\n[train]\nframeworks = ["sklearn"]\nseconds = 0.5\n'
    toml.write_text(f'name = "duo"\n[gather]\ndataset = "irmas"\npath = {json.dumps(str(irmas))}\n{settings}')
    run = [sys.executable, "-m", "antiphon", "pipeline", "run", str(toml), "--workers", "1", "--steps"]
    told = subprocess.run([*run, "gather,preprocess,train,evaluate"], capture_output=True, text=True)
    assert 'no sound in its test split: write train.test = 0.2; train.labels = "several"' in told.stderr
    assert "takes the 1 left out" in told.stderr
    assert "epoch" not in told.stderr
    told = subprocess.run([*run, "gather,preprocess"], capture_output=True, text=True)
    assert "6 sounds (the data set's splits: test 1, train 5)" in told.stdout


def test_a_share_of_too_few_sounds_is_said(tmp_path: Path) -> None:
    for module in ("pyarrow", "apache_beam", "sklearn", "onnxruntime"):
        pytest.importorskip(module)
    for label in ("rain", "rooster"):
        for number in range(2):
            sound(tmp_path / "sounds" / label / f"{number}.wav")
    toml = tmp_path / "few.toml"
    toml.write_text(
        'name = "few"\n[gather]\ndataset = "folder"\npath = "sounds"\n[preprocess]\nshards = 1\n'
        '[train]\nframeworks = ["sklearn"]\nseconds = 0.5\ntest = 0.2\n'
    )
    run = [sys.executable, "-m", "antiphon", "pipeline", "run", str(toml), "--workers", "1", "--steps"]
    told = subprocess.run([*run, "gather,preprocess,train,evaluate"], capture_output=True, text=True)
    said = f"train.test is 0.2, and no label of {tmp_path / 'few'} has enough groups of sounds to give one: raise it"
    assert said in told.stderr
