"""Which arithmetic the hardware computes in: bf16 where it is quicker, and where it is merely emulated, fp32."""

from pathlib import Path

import torch


def computes_bf16(device: torch.device) -> bool:
    """Whether bf16 is computed, not merely emulated: avx512_bf16 or amx_bf16 on x86, bf16 on Arm, Ampere or later.

    An x86 CPU without either takes five times as long for a product in bf16 as in fp32.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return False
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags.split()))
