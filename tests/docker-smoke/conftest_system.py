# SPDX-License-Identifier: MIT
"""The harness of tests/system under another name: both folders have a conftest.py."""
import importlib.util
import pathlib
import sys

_path = pathlib.Path(__file__).resolve().parents[1] / "system" / "conftest.py"
_spec = importlib.util.spec_from_file_location("clawrden_system_conftest", _path)
_module = importlib.util.module_from_spec(_spec)
sys.modules["clawrden_system_conftest"] = _module
_spec.loader.exec_module(_module)
globals().update({k: v for k, v in vars(_module).items() if not k.startswith("_")})
