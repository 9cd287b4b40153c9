# Secrets are listed, then a pod entered (harmless programs).
prepare() { stand_in kubectl; }
act() {
    kubectl get secrets --all-namespaces -o json
    kubectl exec -it web-1 -- sh
}
