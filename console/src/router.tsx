// Which page stands at which address. Pages behind the sign-in share one frame.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet } from '@tanstack/react-router';

import { Toasts } from './components/toast';
import { Frame } from './frame/Frame';
import { parseSearch, stringifySearch } from './lib/url';
import { NotFound } from './pages/NotFound';
import { SignIn } from './pages/SignIn';

const root = createRootRoute({
  component: () => (
    <>
      <Outlet />
      <Toasts />
    </>
  ),
  notFoundComponent: NotFound,
});
const signIn = createRoute({ getParentRoute: () => root, path: '/sign-in', component: SignIn });
const frame = createRoute({ getParentRoute: () => root, id: 'frame', component: Frame });
const overview = createRoute({
  getParentRoute: () => frame,
  path: '/',
  component: lazyRouteComponent(() => import('./pages/Overview'), 'OverviewPage'),
});
const alerts = createRoute({
  getParentRoute: () => frame,
  path: '/alerts',
  component: lazyRouteComponent(() => import('./pages/workbench/Workbench'), 'WorkbenchPage'),
});
const alert = createRoute({
  getParentRoute: () => frame,
  path: '/alerts/$id',
  component: lazyRouteComponent(() => import('./pages/alert/AlertPage'), 'AlertPage'),
});
const endpoints = createRoute({
  getParentRoute: () => frame,
  path: '/endpoints',
  component: lazyRouteComponent(() => import('./pages/Endpoints'), 'EndpointsPage'),
});
const endpoint = createRoute({
  getParentRoute: () => frame,
  path: '/endpoints/$id',
  component: lazyRouteComponent(() => import('./pages/endpoint/EndpointPage'), 'EndpointPage'),
});
const search = createRoute({
  getParentRoute: () => frame,
  path: '/search',
  component: lazyRouteComponent(() => import('./pages/search/SearchPage'), 'SearchPage'),
});
const files = createRoute({
  getParentRoute: () => frame,
  path: '/files',
  component: lazyRouteComponent(() => import('./pages/Files'), 'FilesPage'),
});
const techniques = createRoute({
  getParentRoute: () => frame,
  path: '/techniques',
  component: lazyRouteComponent(() => import('./pages/techniques/Techniques'), 'TechniquesPage'),
});

const detections = createRoute({
  getParentRoute: () => frame,
  path: '/detections',
  component: lazyRouteComponent(() => import('./pages/detections/DetectionsPage'), 'DetectionsPage'),
});
const newDetection = createRoute({
  getParentRoute: () => frame,
  path: '/detections/new',
  component: lazyRouteComponent(() => import('./pages/detections/NewDetection'), 'NewDetectionPage'),
});
const detection = createRoute({
  getParentRoute: () => frame,
  path: '/detections/$id',
  component: lazyRouteComponent(() => import('./pages/detections/DetectionPage'), 'DetectionPage'),
});
const exceptions = createRoute({
  getParentRoute: () => frame,
  path: '/exceptions',
  component: lazyRouteComponent(() => import('./pages/exceptions/ExceptionsPage'), 'ExceptionsPage'),
});
const indicators = createRoute({
  getParentRoute: () => frame,
  path: '/indicators',
  component: lazyRouteComponent(() => import('./pages/indicators/IndicatorsPage'), 'IndicatorsPage'),
});
const recordings = createRoute({
  getParentRoute: () => frame,
  path: '/recordings',
  component: lazyRouteComponent(() => import('./pages/recordings/RecordingsPage'), 'RecordingsPage'),
});
const recording = createRoute({
  getParentRoute: () => frame,
  path: '/recordings/$id',
  component: lazyRouteComponent(() => import('./pages/recordings/RecordingPage'), 'RecordingPage'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    frame.addChildren([overview, alerts, alert, endpoints, endpoint, files, search, techniques, detections, newDetection, detection, exceptions, indicators, recordings, recording]),
  ]),
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
  defaultPreloadStaleTime: 0,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
