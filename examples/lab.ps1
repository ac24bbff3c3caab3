# SPDX-License-Identifier: MIT
# A lab of hosts: two virtual machines (L1) on a network of their own, each a hypervisor with a virtual machine inside
# (L2), whose switch is bound to the host's adapter; the two L2 reach each other.
#     tools/nested-images intel        # the kernel and the initial RAM disk, in build/guest/
#     VENDOR=intel build/droste -File examples/lab.ps1
$vendor = 'Intel'
if ($env:VENDOR -eq 'amd') { $vendor = 'AMD' }

# 1. A network that only virtual machines are on, and the hosts on it.
New-VMSwitch -Name Lab -SwitchType Private
foreach ($n in 1, 2) {
    New-VM -Name "host$n" -MemoryStartupBytes 1GB -Vendor $vendor -Engine Soft -SwitchName Lab
    Set-VMFirmware -VMName "host$n" -KernelPath build/guest/vmlinuz -InitialRamDiskPath build/guest/l1.img -KernelCommandLine "console=ttyS0 quiet lab=$n"
    Set-VMProcessor -VMName "host$n" -ExposeVirtualizationExtensions $true
}

# 2. Frames of the inner virtual machines pass two switches: the outer one has to let their addresses through.
Get-VMNetworkAdapter -VMName host1, host2 | Set-VMNetworkAdapter -MacAddressSpoofing On

# 3. Start them, and look on at the first until it powers off.
Start-VM -Name host1, host2
Connect-VM -Name host1
Wait-VM -Name host2 -State Off -Timeout 60
Remove-VM -Name host1, host2 -Force
Remove-VMSwitch -Name Lab -Force
