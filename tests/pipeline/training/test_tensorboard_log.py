"""TensorBoard's logs: records as its format has them, added to and not written anew. The real test reads them by it."""

import struct
from pathlib import Path

from antiphon_models.pipeline.training import learning
from antiphon_models.pipeline.training.learning import EpochFigures, write_log

HISTORY = [EpochFigures(1.0 / (n + 1), 0.5, 2.0, 0.25, 10.0, 1_800_000_000.0 + n) for n in range(300)]


def records(path: Path) -> list[bytes]:
    content, found = path.read_bytes(), []
    while content:
        length, crc = struct.unpack("<QI", content[:12])
        assert crc == learning._masked(content[:8])
        found.append(content[12 : 12 + length])
        assert struct.unpack("<I", content[12 + length : 16 + length])[0] == learning._masked(found[-1])
        content = content[16 + length :]
    return found


def test_the_checksum_is_the_published_one_of_its_test_string() -> None:
    crc = 0xE3069283  # of "123456789", as RFC 3720's Castagnoli polynomial gives it
    assert learning._masked(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_each_epoch_is_a_record_of_loss_and_accuracy(tmp_path: Path) -> None:
    write_log(tmp_path, HISTORY, validated=True)
    train, valid = (records(tmp_path / run / learning.FILE) for run in ("train", "valid"))
    assert len(train) == len(valid) == 301
    assert b"brain.Event:2" in train[0]
    assert struct.unpack("<d", train[1][1:9])[0] == HISTORY[0].time
    assert b"\x0a\x04loss\x15" + struct.pack("<f", 0.5) in train[2]
    assert b"\x0a\x08accuracy\x15" + struct.pack("<f", 0.25) in valid[2]
    assert train[200][9:12] == b"\x10\xc8\x01", "the 200th step"


def test_a_log_is_added_to_so_that_who_has_it_open_sees_it_and_a_damaged_one_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "train" / learning.FILE
    write_log(tmp_path, HISTORY[:2], validated=False)
    inode = path.stat().st_ino
    write_log(tmp_path, HISTORY[:3], validated=False)
    assert path.stat().st_ino == inode
    assert len(records(path)) == 4
    path.write_bytes(path.read_bytes()[:-5])
    write_log(tmp_path, HISTORY[:3], validated=False)
    assert len(records(path)) == 4
    other = [EpochFigures(9.0, 0.5, 2.0, 0.25, 10.0, 1_900_000_000.0)]
    write_log(tmp_path, other, validated=False)
    assert len(records(path)) == 2
    assert not (tmp_path / "valid").exists()
