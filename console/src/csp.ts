// The nonce under which this page may add <style> elements (Mantine's variables, scroll locking).
// The server writes it into index.html; without a server (vite dev) there is none.
import { setNonce } from 'get-nonce';

function read(): string | undefined {
  const text = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? '';
  return text === '' || text.startsWith('__') ? undefined : text;
}

export const cspNonce = read();
if (cspNonce) setNonce(cspNonce);
