// Starts the console: nonce first, then languages, then the page.
import './csp';
import '@mantine/core/styles.css';
import './styles/tokens.css';
import './styles/pages.css';
import './styles/work.css';

import { createRoot } from 'react-dom/client';

import { App } from './app';
import { startLanguages } from './i18n';

async function start(): Promise<void> {
  await startLanguages();
  const root = document.getElementById('root');
  if (root) createRoot(root).render(<App />);
}

void start();
