// Small line drawings, all on one 16-unit grid. They are decoration: words stand beside them.
import type { ReactNode } from 'react';

const PATHS = {
  overview: <path d="M2 2.500h5v5H2zM9 2.500h5v3H9zM9 7.500h5v6H9zM2 9.500h5v4H2z" />,
  alerts: <path d="M8 2 14.500 13.500h-13zM8 6.500v3.500M8 11.800v.2" />,
  search: <path d="M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.500 10.500 14 14" />,
  endpoints: <path d="M2 3h12v8H2zM5.500 13.500h5M8 11v2.500" />,
  techniques: <path d="M2 2.500h3v11H2zM6.500 2.500h3v8h-3zM11 2.500h3v5h-3z" />,
  detections: <path d="M8 1.800 13.500 4v4c0 3-2.300 5.200-5.500 6.200C4.800 13.200 2.500 11 2.500 8V4zM5.500 8l2 2 3-3.500" />,
  exceptions: <path d="M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM5 8h6" />,
  indicators: <path d="M8 1.500v3M8 11.500v3M1.500 8h3M11.500 8h3M8 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8z" />,
  recordings: <path d="M2 3.500h12v9H2zM6.500 5.800v4.400L10.500 8z" />,
  user: <path d="M8 2.500a2.800 2.800 0 1 0 0 5.600 2.800 2.800 0 0 0 0-5.600zM2.800 14c.4-3 2.400-4.400 5.200-4.400s4.800 1.400 5.200 4.400" />,
  sun: <path d="M8 5.200a2.800 2.800 0 1 0 0 5.600 2.800 2.800 0 0 0 0-5.600zM8 1.500v1.500M8 13v1.500M1.500 8H3M13 8h1.500M3.400 3.400l1 1M11.600 11.600l1 1M12.600 3.400l-1 1M4.400 11.600l-1 1" />,
  moon: <path d="M13 9.500A5.500 5.500 0 0 1 6.500 3a5.500 5.500 0 1 0 6.500 6.500z" />,
  close: <path d="M3.500 3.500l9 9M12.500 3.500l-9 9" />,
  right: <path d="M6 3.500 10.500 8 6 12.500" />,
  down: <path d="M3.500 6 8 10.500 12.500 6" />,
  left: <path d="M10 3.500 5.500 8l4.500 4.500" />,
  help: <path d="M5.800 6a2.200 2.200 0 1 1 3.300 1.900c-.8.5-1.100.9-1.100 1.800M8 11.800v.2M8 1.800a6.200 6.200 0 1 0 0 12.400A6.200 6.200 0 0 0 8 1.800z" />,
  process: <path d="M2.500 4h11v8h-11zM5 7l1.500 1L5 9M8 9.500h3" />,
  file: <path d="M4 1.800h5l3 3v9.400H4zM9 1.800v3h3" />,
  network: <path d="M2 5.500h11l-2.500-2.500M14 10.500H3L5.500 13" />,
  dns: <path d="M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM2 8h12M8 2c4 4 4 8 0 12M8 2c-4 4-4 8 0 12" />,
  module: <path d="M4 4h8v8H4zM6 2v2M10 2v2M6 12v2M10 12v2M2 6h2M2 10h2M12 6h2M12 10h2" />,
  sensor: <path d="M2 9h3l1.500-4 3 7L11 9h3" />,
  storage: <path d="M3 3.500h10v3.500H3zM3 9h10v3.500H3zM5 5.200h.2M5 10.800h.2M14.500 1.500l-13 13" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.400"
      strokeLinejoin="round"
      strokeLinecap="round"
      aria-hidden="true"
    >
      {PATHS[name]}
    </svg>
  );
}

/** The icon of a class of activity, for example `file.modify`. */
export function classIcon(name: string): IconName {
  const head = name.split('.')[0];
  return head === 'file' || head === 'network' || head === 'dns' || head === 'module' || head === 'sensor'
    ? head
    : 'process';
}

export function Logo() {
  return (
    <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="6" fill="#3b4cca" />
      <path d="M5 16c3-5 7-7.500 11-7.500S24 11 27 16c-3 5-7 7.500-11 7.500S8 21 5 16Z" fill="none" stroke="#fff" strokeWidth="2.200" />
      <circle cx="16" cy="16" r="4" fill="#fff" />
    </svg>
  );
}
