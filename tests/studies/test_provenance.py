import subprocess

import pytest

from lit_synth.errors import InputError
from lit_synth.studies.provenance import machine, refuse_dirty, revision, world_versions


@pytest.fixture
def repository(tmp_path):
    """Return a repository with one committed file of code."""
    (tmp_path / "lit_synth").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "lit_synth" / "a.py").write_text("a = 1\n")
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "First"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    return tmp_path


def test_a_clean_tree_is_accepted_whatever_is_in_docs(repository):
    (repository / "docs" / "RESULTS.md").write_text("new")
    refuse_dirty(revision(repository))


@pytest.mark.parametrize("name", ["a.py", "untracked.py"])
def test_a_dirty_tree_is_refused(repository, name):
    (repository / "lit_synth" / name).write_text("a = 2\n")
    named = revision(repository)
    assert named.endswith("-dirty")
    with pytest.raises(InputError, match=f"differ from the revision {named[:12]}: commit them"):
        refuse_dirty(named)


def test_without_git_there_is_the_version(tmp_path):
    assert revision(tmp_path / "nowhere").startswith("version ")


def test_machine_and_worlds_are_named():
    told = machine()
    assert told["cpu"]
    assert told["cores"] > 0
    versions = world_versions(["Rooms", "Bags", "torch.nn.Linear"])
    assert set(versions) == {"Bags", "Rooms"}
    assert versions["Bags"] != versions["Rooms"]
