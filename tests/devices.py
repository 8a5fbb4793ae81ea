"""What tests run on: the CPU, and with `-m gpu` a GPU, where there is one."""

import pytest
import torch

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")]
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]
