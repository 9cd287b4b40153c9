// How the console is built and tested. The build carries no inline script and no inline style, so
// that the server's Content-Security-Policy needs neither `unsafe-inline` nor hashes.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const backend = process.env.METSUKE_URL ?? 'http://127.0.0.1:7680';

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  // The names of techniques stand in ../content.
  server: { fs: { allow: ['..'] }, proxy: { '/api': { target: backend, changeOrigin: false } } },
  // The time bound ends what hangs; a loaded machine is no failure.
  test: { include: ['src/**/*.test.{ts,tsx}'], testTimeout: 120_000 },
});
