# SPDX-License-Identifier: MIT
# NAT for the virtual machines of a host that is one itself: where the outer switch lets only the host's own MAC address
# pass, as in most clouds, they share its address. Run it in L1; its virtual machines connect to the switch VmNAT, with
# addresses in 192.168.100.0/24 and 192.168.100.1 as their gateway.
New-VMSwitch -Name VmNAT -SwitchType Internal
New-NetNat -Name LocalNAT -InternalIPInterfaceAddressPrefix '192.168.100.0/24'
Get-NetAdapter 'vEthernet (VmNAT)' | New-NetIPAddress -IPAddress 192.168.100.1 -AddressFamily IPv4 -PrefixLength 24
