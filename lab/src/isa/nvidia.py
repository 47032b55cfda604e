"""HLSL by Slang to CUDA, by nvrtc to PTX, by ptxas and nvdisasm to assembly for sm_90.

usage: nvidia.py WHEELS FILE.hlsl, WHEELS a folder of unpacked wheels. Prints a line of statistics,
then the assembly.
"""

import ctypes
import glob
import os
import re
import subprocess
import sys
import tempfile

wheels, path = sys.argv[1:3]


def find(pattern):
    found = sorted(glob.glob(os.path.join(wheels, pattern), recursive=True))
    if not found:
        sys.exit(f"{wheels} holds no {pattern}")
    return found[0]


def library(pattern, names):
    loaded = ctypes.CDLL(find(pattern), mode=ctypes.RTLD_GLOBAL)
    for name, (result, arguments) in names.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


def typed(hlsl):
    """Buffers of bytes as buffers of vec4s, or of single words.

    Of bytes Slang does not know where a word begins, and reads it byte by byte; the Vulkan driver
    is told.
    """
    for name in re.findall(r"^ByteAddressBuffer (\w+)", hlsl, re.M):
        word = r"\((.*?)\*4\)"
        if f"{name}.Load4(" in hlsl:
            word = r"\(naga_mod\((\w+), 4u\)\*4\+naga_div\(\1, 4u\)\*16\)"
            made = re.sub(rf"\b{name}\.Load4\(([^()]*)\*16\)", rf"{name}[\1]", hlsl)
            made = re.sub(rf"\b{name}\.Load{word}", rf"{name}[\1 / 4u][\1 % 4u]", made)
            element = "uint4"
        else:
            made = re.sub(rf"\b{name}\.Load{word}", rf"{name}[\1]", hlsl)
            element = "uint"
        if not re.search(rf"\b{name}\.Load", made):
            hlsl = re.sub(rf"^ByteAddressBuffer {name}\b", f"StructuredBuffer<{element}> {name}",
                          made, flags=re.M)
    return hlsl


pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
slang = library("slangpy/libslang-compiler.so*", {
    "spCreateSession": (pointer, [text]),
    "spCreateCompileRequest": (pointer, [pointer]),
    "spAddCodeGenTarget": (number, [pointer, number]),
    "spAddTranslationUnit": (number, [pointer, number, text]),
    "spAddTranslationUnitSourceString": (None, [pointer, number, text, text]),
    "spAddEntryPoint": (number, [pointer, number, text, number]),
    "spCompile": (number, [pointer]),
    "spGetDiagnosticOutput": (text, [pointer]),
    "spGetEntryPointSource": (text, [pointer, number]),
})
nvrtc = library("**/libnvrtc.so.12", {})

HLSL, CUDA_SOURCE, COMPUTE = 2, 17, 6
request = slang.spCreateCompileRequest(slang.spCreateSession(None))
slang.spAddCodeGenTarget(request, CUDA_SOURCE)
unit = slang.spAddTranslationUnit(request, HLSL, b"kernel")
with open(path, encoding="utf8") as file:
    source = typed(file.read()).encode()
slang.spAddTranslationUnitSourceString(request, unit, b"kernel.hlsl", source)
slang.spAddEntryPoint(request, unit, b"main", COMPUTE)
if slang.spCompile(request) != 0:
    sys.exit("Slang: " + (slang.spGetDiagnosticOutput(request) or b"").decode()[:400])

# Shifts of signed vectors by unsigned ones, which Slang writes and does not define.
SHIFTS = "".join(
    f"__device__ inline int{n} operator{op}(int{n} a, uint{n} b) {{ return make_int{n}("
    + ", ".join(f"a.{c} {op} b.{c}" for c in "xyzw"[:n]) + "); }\n"
    for n in (2, 3, 4) for op in ("<<", ">>"))
cuda = SHIFTS.encode() + slang.spGetEntryPointSource(request, 0)


def said(size, get):
    count = ctypes.c_size_t()
    size(program, ctypes.byref(count))
    buffer = ctypes.create_string_buffer(count.value)
    get(program, buffer)
    return buffer.value


program = pointer()
if nvrtc.nvrtcCreateProgram(ctypes.byref(program), cuda, b"kernel.cu", 0, None, None):
    sys.exit("nvrtc takes no program")
options = [b"--gpu-architecture=compute_90", b"-default-device", b"--std=c++17"]
if nvrtc.nvrtcCompileProgram(program, len(options), (text * len(options))(*options)):
    log = said(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog)
    sys.exit("nvrtc: " + log.decode()[-400:])
ptx = said(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)

with tempfile.TemporaryDirectory() as folder:
    for tool in (ptxas := find("**/bin/ptxas"), nvdisasm := find("**/bin/nvdisasm")):
        os.chmod(tool, 0o755)
    files = [os.path.join(folder, name) for name in ("kernel.ptx", "kernel.cubin")]
    with open(files[0], "wb") as file:
        file.write(ptx)
    made = subprocess.run([ptxas, "-v", "-O3", "-arch", "sm_90", files[0], "-o", files[1]],
                          capture_output=True, text=True, check=False)
    if made.returncode:
        sys.exit("ptxas: " + made.stderr[-400:])
    for name, pattern in {"registers": r"Used (\d+) registers", "shared": r"(\d+) bytes smem",
                          "spilled": r"(\d+) bytes spill stores"}.items():
        found = re.search(pattern, made.stderr)
        print(f"{name}={found[1] if found else 0}", end=" ")
    print()
    print(subprocess.run([nvdisasm, files[1]], capture_output=True, text=True, check=True).stdout)
