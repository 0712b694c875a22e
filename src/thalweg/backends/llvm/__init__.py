"""The native backend: loops to LLVM IR to machine code, through llvmlite."""
