import subprocess
import sys
import time

from reft.memory import MemoryMeter

HOLD = "import sys, time; block = bytearray(200 << 20); print(flush=True); sys.stdin.read()"


def test_children_count_and_the_peak_stays() -> None:
    with MemoryMeter(seconds=0.02) as meter:
        before = _settled(meter)
        with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            _settled(meter)
        peak = meter.peak_bytes
    assert 190 << 20 < peak - before < 260 << 20
    assert meter.peak_bytes >= peak


def _settled(meter: MemoryMeter) -> int:
    time.sleep(0.3)
    return meter.peak_bytes
