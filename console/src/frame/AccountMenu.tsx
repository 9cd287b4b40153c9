// Who is signed in, and what this browser prefers: theme, language, time zone.
import { Menu, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useSignOut } from '../api/hooks';
import type { Session } from '../api/types';
import { Icon } from '../components/icons';
import { speak } from '../i18n';
import { setPrefs, usePrefs } from '../lib/prefs';
import type { Language } from '../lib/prefs';

export function ThemeButton() {
  const { t } = useTranslation();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const other = scheme === 'dark' ? 'light' : 'dark';
  const label = `${t('frame/theme')}: ${t(other === 'dark' ? 'frame/themeDark' : 'frame/themeLight')}`;
  return (
    <button type="button" className="iconbtn" aria-label={label} title={label} onClick={() => setColorScheme(other)}>
      <Icon name={other === 'dark' ? 'moon' : 'sun'} />
    </button>
  );
}

export function useLanguage(): (language: Language) => void {
  return (language) => {
    setPrefs({ language });
    void speak(language);
  };
}

const mark = (active: boolean) => (active ? '●' : '○');

export function AccountMenu({ session }: { session: Session }) {
  const { t } = useTranslation();
  const { language, zone, density } = usePrefs();
  const setLanguage = useLanguage();
  const signOut = useSignOut();
  const navigate = useNavigate();
  return (
    <Menu position="bottom-end" width={200}>
      <Menu.Target>
        <button type="button" className="iconbtn" aria-label={`${t('frame/account')}: ${session.user.name}`}>
          <Icon name="user" />
          {session.user.name}
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('frame/role', { role: session.user.role })}</Menu.Label>
        <Menu.Divider />
        <Menu.Label>{t('frame/language')}</Menu.Label>
        <Menu.Item leftSection={mark(language === 'en')} onClick={() => setLanguage('en')} lang="en">English</Menu.Item>
        <Menu.Item leftSection={mark(language === 'ja')} onClick={() => setLanguage('ja')} lang="ja">日本語</Menu.Item>
        <Menu.Label>{t('frame/zone')}</Menu.Label>
        <Menu.Item leftSection={mark(zone === 'utc')} onClick={() => setPrefs({ zone: 'utc' })}>{t('frame/zoneUtc')}</Menu.Item>
        <Menu.Item leftSection={mark(zone === 'local')} onClick={() => setPrefs({ zone: 'local' })}>{t('frame/zoneLocal')}</Menu.Item>
        <Menu.Label>{t('frame/density')}</Menu.Label>
        <Menu.Item leftSection={mark(density === 'normal')} onClick={() => setPrefs({ density: 'normal' })}>{t('frame/densityNormal')}</Menu.Item>
        <Menu.Item leftSection={mark(density === 'compact')} onClick={() => setPrefs({ density: 'compact' })}>{t('frame/densityCompact')}</Menu.Item>
        <Menu.Divider />
        <Menu.Item
          onClick={() => signOut.mutate(undefined, { onSettled: () => void navigate({ to: '/sign-in' }) })}
        >
          {t('frame/signOut')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
