"""One of two processes that train together; run by test_team.py with the variables of torchrun.

python -m tests.train.team_worker FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from causerie.train.processes import find_processes
from tests.train.lm.test_training import training

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    seen: list[dict[str, float]] = []
    processes = find_processes("cpu")
    assert processes.num_processes == 2
    run = training(folder, processes=processes)
    run.run(lambda step, numbers: seen.append(numbers))
    if processes.is_main_process:
        (folder / "losses.json").write_text(json.dumps(seen))
    else:
        assert not seen
        torch.save(run.model.state_dict(), folder / "second.pt")
    torch.distributed.destroy_process_group()
