# `dmidecode -s system-product-name`, with a harmless program by the name of dmidecode.
prepare() { stand_in dmidecode; }
act() { dmidecode -s system-product-name; }
