"""What a server imports before anyone asks anything: nothing that only evaluations, imports or languages need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_HEAVY = {"numpy", "py3langid", "rapidfuzz", "pyarrow", "sacrebleu", "dbos", "scipy", "google", "grpc"}
_PROGRAM = """
import asyncio, sys
from pathlib import Path
from rondo.server.app import Server
from rondo.server.data_folder import DataFolder

async def live():
    server = Server(DataFolder(Path(sys.argv[1])), Path(sys.argv[2]))
    await server.start()
    await asyncio.sleep(0.2)
    await server.close()

asyncio.run(live())
print("HEAVY", sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[3:])))
"""


def test_a_server_starts_without_what_few_need(tmp_path: Path) -> None:
    made = [sys.executable, "-m", "rondo.cli.main", "init", "bot", "--dir", str(tmp_path / "bot")]
    subprocess.run(made, capture_output=True, text=True, check=True)
    program = [sys.executable, "-c", _PROGRAM, str(tmp_path / "data"), str(tmp_path / "bot"), *sorted(_HEAVY)]
    told = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "HEAVY []"
