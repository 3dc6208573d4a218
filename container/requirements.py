"""Print what pyproject.toml requires at run time, one line each; arguments are extras to add.

Without the extra `gpu`, TensorFlow comes as the build of the same version that holds no CUDA
kernels (on x86_64; elsewhere the usual wheel is that build).
"""

import platform
import re
import sys
import tomllib
from pathlib import Path

extras = sys.argv[1:]
project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
required = list(project["dependencies"])
for extra in extras:
    required += project["optional-dependencies"][extra]
if "gpu" not in extras and platform.machine() == "x86_64":
    required = [re.sub(r"^tensorflow\b", "tensorflow-cpu", line) for line in required]
sys.stdout.write("\n".join([*required, ""]))
