# Four different questions (harmless programs).
prepare() { stand_in pgrep dmidecode sudo showmount; }
act() {
    pgrep -fl 'falcon|wazuh|osquery'
    dmidecode -s system-product-name
    sudo -n -l
    showmount -e 127.0.0.1
}
