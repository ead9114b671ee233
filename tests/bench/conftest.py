"""The harness is tested as it is run: as the package bench/harness, found from the root of the tree."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
