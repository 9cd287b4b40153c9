// What surrounds every page after sign-in: brand, navigation, live state, account, shortcuts.
import { Link, Outlet, useNavigate, useRouter } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useOverview, useSession, useStream } from '../api/hooks';
import type { Session } from '../api/types';
import { Dialog } from '../components/Dialog';
import { Icon, Logo } from '../components/icons';
import type { IconName } from '../components/icons';
import { Failed } from '../components/Panel';
import { ValueMenuHost } from '../components/valueMenu';
import { useKeys } from '../lib/keys';
import { usePrefs } from '../lib/prefs';
import { AccountMenu, ThemeButton } from './AccountMenu';
import { StorageBanner } from './StorageBanner';

const PAGES: { to: '/' | '/alerts' | '/search' | '/endpoints' | '/techniques' | '/detections' | '/exceptions' | '/indicators' | '/recordings'; name: IconName; key: string }[] = [
  { to: '/', name: 'overview', key: 'g o' },
  { to: '/alerts', name: 'alerts', key: 'g a' },
  { to: '/search', name: 'search', key: 'g h' },
  { to: '/endpoints', name: 'endpoints', key: 'g e' },
  { to: '/techniques', name: 'techniques', key: 'g t' },
  { to: '/detections', name: 'detections', key: 'g d' },
  { to: '/exceptions', name: 'exceptions', key: 'g x' },
  { to: '/indicators', name: 'indicators', key: 'g i' },
  { to: '/recordings', name: 'recordings', key: 'g r' },
];

export function Frame() {
  const { t } = useTranslation();
  const session = useSession();
  if (session.data?.user.must_change_password) return <ToSignIn />;
  if (session.data) return <Signed session={session.data} />;
  if (session.error?.status === 401) return <ToSignIn />;
  if (session.error) return <Failed problem={session.error} retry={() => void session.refetch()} />;
  return <div className="blank" role="status">{t('state/loading')}</div>;
}

/** Leads to the sign-in, once, with the way back to where the reader wanted to be. */
function ToSignIn() {
  const router = useRouter();
  useEffect(() => {
    const next = router.state.location.href;
    void router.navigate({ to: '/sign-in', search: { next } as never, replace: true });
  }, [router]);
  return null;
}

function Signed({ session }: { session: Session }) {
  const { t } = useTranslation();
  const stream = useStream();
  const navigate = useNavigate();
  const { density } = usePrefs();
  const [help, setHelp] = useState<'open' | 'closed'>('closed');
  const go = Object.fromEntries(
    PAGES.map((page) => [page.key, () => void navigate({ to: page.to })]),
  );
  useKeys({ ...go, '?': () => setHelp('open') });
  return (
    <div className="frame" data-density={density}>
      <a className="frame__skip" href="#main">{t('nav/skip')}</a>
      <div className="frame__head">
        <header className="frame__top">
          <Link to="/" className="frame__brand"><Logo />Metsuke</Link>
          <span className="spacer" />
          <span className="live" data-state={stream} title={t(`frame/${stream}`)}>
            <span className="live__dot" aria-hidden="true" />
            {t(`frame/${stream}`)}
          </span>
          <button type="button" className="iconbtn" aria-label={t('frame/shortcuts')} title={t('frame/shortcuts')} onClick={() => setHelp('open')}>
            <Icon name="help" />
          </button>
          <ThemeButton />
          <AccountMenu session={session} />
        </header>
        <StorageBanner />
      </div>
      <Navigation />
      <main id="main" className="frame__main" tabIndex={-1}>
        <Outlet />
        <ValueMenuHost />
      </main>
      <Dialog state={help} onClose={() => setHelp('closed')} title={t('frame/shortcuts')}>
        <Shortcuts />
      </Dialog>
    </div>
  );
}

function Navigation() {
  const { t } = useTranslation();
  const overview = useOverview();
  const open = overview.data?.alerts.open;
  return (
    <nav className="frame__nav" aria-label={t('nav/label')}>
      {PAGES.map((page) => (
        <Link key={page.to} to={page.to} activeOptions={{ exact: page.to === '/', includeSearch: false }}>
          <Icon name={page.name} />
          {t(`nav/${page.name}`)}
          {page.name === 'alerts' && open ? <span className="frame__count">{open}</span> : null}
        </Link>
      ))}
    </nav>
  );
}

const SHORTCUTS: [string, string][] = [
  ['j  k', 'move'],
  ['Enter', 'open'],
  ['x', 'select'],
  ['a', 'assign'],
  ['s', 'status'],
  ['/', 'focus'],
  ['Esc', 'close'],
  ['g o  g a  g h  g e  g t  g d  g x  g i  g r', 'go'],
  ['Shift+F10', 'menu'],
  ['?', 'help'],
];

function Shortcuts() {
  const { t } = useTranslation();
  return (
    <dl className="facts">
      {SHORTCUTS.map(([key, name]) => (
        <div key={name} style={{ display: 'contents' }}>
          <dt><kbd className="mono">{key}</kbd></dt>
          <dd>{t(`keys/${name}`)}</dd>
        </div>
      ))}
    </dl>
  );
}
