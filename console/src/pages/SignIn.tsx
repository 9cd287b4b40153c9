// Sign-in, and the change of a one-time password that the server asks for.
import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { call, Problem } from '../api/client';
import { useSession, useSignIn } from '../api/hooks';
import { Logo } from '../components/icons';
import { ThemeButton, useLanguage } from '../frame/AccountMenu';
import { safeNext } from '../lib/next';
import { usePrefs } from '../lib/prefs';
import { visible } from '../lib/safeText';
import { useUrl } from '../lib/url';

const PASSWORD_MIN = 12;

export function SignIn() {
  const { t } = useTranslation();
  const { language } = usePrefs();
  const setLanguage = useLanguage();
  const session = useSession();
  const [url] = useUrl();
  const navigate = useNavigate();
  const done = () => void navigate({ href: safeNext(url['next']) });
  return (
    <main className="signin">
      <div className="signin__box panel">
        <div className="signin__brand"><Logo /><h1>Metsuke</h1></div>
        <p className="muted">{t('signIn/lead')}</p>
        {session.data?.user.must_change_password ? <NewPassword done={done} /> : <Credentials done={done} />}
        <div className="row signin__foot">
          <button type="button" className="iconbtn" lang={language === 'en' ? 'ja' : 'en'} onClick={() => setLanguage(language === 'en' ? 'ja' : 'en')}>
            {language === 'en' ? '日本語' : 'English'}
          </button>
          <span className="spacer" />
          <ThemeButton />
        </div>
      </div>
    </main>
  );
}

function useMessage(): (problem: Problem | null) => string | undefined {
  const { t } = useTranslation();
  return (problem) => {
    if (!problem) return undefined;
    if (problem.status === 401) return t('signIn/refused');
    if (problem.status === 429) return t('signIn/throttled');
    return problem.status === 0 ? t('state/unreachable') : visible(problem.message);
  };
}

function Credentials({ done }: { done: () => void }) {
  const { t } = useTranslation();
  const signIn = useSignIn();
  const message = useMessage();
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signIn.mutate(
      { user, password },
      { onSuccess: (session) => !session.user.must_change_password && done() },
    );
  };
  return (
    <form className="stack" onSubmit={submit} aria-label={t('signIn/title')}>
      <TextInput size="sm" label={t('signIn/user')} autoComplete="username" required withAsterisk={false} autoFocus value={user} onChange={(event) => setUser(event.currentTarget.value)} />
      <PasswordInput label={t('signIn/password')} autoComplete="current-password" required withAsterisk={false} value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
      {signIn.error && <p className="failed" role="alert">{message(signIn.error)}</p>}
      <Button size="sm" type="submit" loading={signIn.isPending}>{t('signIn/submit')}</Button>
    </form>
  );
}

function NewPassword({ done }: { done: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const message = useMessage();
  const [old, setOld] = useState('');
  const [fresh, setFresh] = useState('');
  const [problem, setProblem] = useState<string>();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (fresh.length < PASSWORD_MIN) return setProblem(t('signIn/tooShort'));
    try {
      await call('POST', '/session/password', { body: { old, new: fresh } });
      await client.refetchQueries({ queryKey: ['session'] });
      done();
    } catch (error) {
      setProblem(error instanceof Problem ? message(error) : String(error));
    }
  };
  return (
    <form className="stack" onSubmit={(event) => void submit(event)} aria-label={t('signIn/change')}>
      <p>{t('signIn/mustChange')}</p>
      <PasswordInput label={t('signIn/password')} autoComplete="current-password" required withAsterisk={false} value={old} onChange={(event) => setOld(event.currentTarget.value)} />
      <PasswordInput label={t('signIn/newPassword')} autoComplete="new-password" required withAsterisk={false} value={fresh} onChange={(event) => setFresh(event.currentTarget.value)} />
      {problem && <p className="failed" role="alert">{problem}</p>}
      <Button size="sm" type="submit">{t('signIn/change')}</Button>
    </form>
  );
}
