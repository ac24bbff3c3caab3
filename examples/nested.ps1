# SPDX-License-Identifier: MIT
# Nested virtualization, from a new virtual machine (L1) to one inside it (L2) and back. ./quickstart makes the kernel
# and the initial RAM disk in build/guest/, serves a page on port 8213, and runs this; afterwards you can:
#     VENDOR=intel build/droste -File examples/nested.ps1
$vendor = 'Intel'
if ($env:VENDOR -eq 'amd') { $vendor = 'AMD' }

# 1. Create a network that this host is on too, and a virtual machine on it.
New-VMSwitch -Name Outer -SwitchType Internal
Get-NetAdapter 'vEthernet (Outer)' | New-NetIPAddress -IPAddress 192.168.213.1 -AddressFamily IPv4 -PrefixLength 24 | Format-Table IPAddress, InterfaceAlias, PolicyStore
Get-VMSwitch Outer | Format-Table Name, SwitchType, HostNetworkInUse
New-VM -Name L1 -MemoryStartupBytes 1GB -Vendor $vendor -Engine Soft -SwitchName Outer
Set-VMFirmware -VMName L1 -KernelPath build/guest/vmlinuz -InitialRamDiskPath build/guest/l1.img -KernelCommandLine 'console=ttyS0 quiet'

# 2. While it is Off, enable nested virtualization.
Set-VMProcessor -VMName L1 -ExposeVirtualizationExtensions $true
Get-VMProcessor -VMName L1 | Format-List VMName, Vendor, Engine, ExposeVirtualizationExtensions

# 3. Start it, and look on until it powers off: its kernel loads KVM; this program in it makes a network with NAT
#    (examples/nat.ps1) and starts L2 there, which fetches a page from a web server on this host.
Start-VM -Name L1
Connect-VM -Name L1

# 4. Disable nested virtualization again. L1 finds no extensions any more.
Set-VMProcessor -VMName L1 -ExposeVirtualizationExtensions $false
Start-VM -Name L1
Connect-VM -Name L1
Remove-VM -Name L1 -Force
Remove-VMSwitch -Name Outer -Force
