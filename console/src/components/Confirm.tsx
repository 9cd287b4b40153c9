// "Really?" for what cannot be taken back by a click.
import { Button } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Problem } from '../api/client';
import { told } from '../lib/told';
import { Dialog } from './Dialog';

interface Props {
  state: 'open' | 'closed';
  title: string;
  text: string;
  confirm: string;
  busy: 'yes' | 'no';
  problem: Problem | null;
  onClose: () => void;
  onConfirm: () => void;
}

export function Confirm({ state, title, text, confirm, busy, problem, onClose, onConfirm }: Props) {
  const { t } = useTranslation();
  return (
    <Dialog state={state} onClose={onClose} title={title}>
      <div className="stack">
        <p className="note">{text}</p>
        {problem && <p className="failed" role="alert">{told(problem)}</p>}
        <div className="row">
          <span className="spacer" />
          <Button variant="default" data-autofocus onClick={onClose}>{t('response/cancel')}</Button>
          <Button loading={busy === 'yes'} onClick={onConfirm}>{confirm}</Button>
        </div>
      </div>
    </Dialog>
  );
}
