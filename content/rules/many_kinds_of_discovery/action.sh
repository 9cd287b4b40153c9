# Four different questions (harmless programs stand for dmidecode, sudo, showmount).
prepare() { stand_in dmidecode sudo showmount; }
act() {
    pgrep -fl 'falcon|wazuh|osquery'
    dmidecode -s system-product-name
    sudo -n -l
    showmount -e 127.0.0.1
}
