// Providers around the router.
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';

import { onSignedOut, Problem } from './api/client';
import { cspNonce } from './csp';
import { router } from './router';
import { resolveVariables, theme } from './theme';

const STALE_MS = 15_000;
const RETRIES = 2;

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: STALE_MS,
      retry: (count, error) =>
        count < RETRIES && !(error instanceof Problem && error.status >= 400 && error.status < 500),
    },
  },
});

onSignedOut(() => {
  if (router.state.location.pathname === '/sign-in') return;
  client.clear();
  void router.navigate({ to: '/sign-in', search: { next: router.state.location.href } as never });
});

export function App() {
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={resolveVariables}
      defaultColorScheme="auto"
      getStyleNonce={cspNonce ? () => cspNonce ?? '' : undefined}
    >
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  );
}
