# SPDX-License-Identifier: MIT
# Nested virtualization, from a new virtual machine (L1) to one inside it (L2) and back. ./quickstart makes the kernel
# and the initial RAM disk in build/guest/ and runs this; afterwards you can:
#     VENDOR=intel build/droste -File examples/nested.ps1
$vendor = 'Intel'
if ($env:VENDOR -eq 'amd') { $vendor = 'AMD' }

# 1. Create a virtual machine.
New-VM -Name L1 -MemoryStartupBytes 1GB -Vendor $vendor -Engine Soft
Set-VMFirmware -VMName L1 -KernelPath build/guest/vmlinuz -InitialRamDiskPath build/guest/l1.img -KernelCommandLine 'console=ttyS0 quiet'

# 2. While it is Off, enable nested virtualization.
Set-VMProcessor -VMName L1 -ExposeVirtualizationExtensions $true
Get-VMProcessor -VMName L1 | Format-List VMName, Vendor, Engine, ExposeVirtualizationExtensions

# 3. Start it, and look on until it powers off: its kernel loads KVM, and this program in it starts L2.
Start-VM -Name L1
Connect-VM -Name L1

# 4. Disable nested virtualization again. L1 finds no extensions any more.
Set-VMProcessor -VMName L1 -ExposeVirtualizationExtensions $false
Start-VM -Name L1
Connect-VM -Name L1
Remove-VM -Name L1 -Force
