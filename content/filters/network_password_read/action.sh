# grep opens /etc/NetworkManager/system-connections/office.nmconnection, made for it.
prepare() {
    mkdir -p '/etc/NetworkManager/system-connections' && echo x >'/etc/NetworkManager/system-connections/office.nmconnection'
}
act() { grep psk '/etc/NetworkManager/system-connections/office.nmconnection'; }
