// Status and finding of an alert, chosen from one menu.
import { Menu } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { AlertStatus, Finding } from '../api/types';
import { Icon } from './icons';

export interface Triage {
  status?: AlertStatus;
  /** Empty clears it. */
  finding?: Finding | '';
}

const STATUSES = ['new', 'in_progress', 'closed'] as const;
const FINDINGS = ['true_positive', 'benign', 'false_positive'] as const;

interface Props {
  opened: 'open' | 'closed';
  onOpened: (state: 'open' | 'closed') => void;
  label: string;
  onPick: (patch: Triage) => void;
}

export function StatusMenu({ opened, onOpened, label, onPick }: Props) {
  const { t } = useTranslation();
  return (
    <Menu
      opened={opened === 'open'}
      onChange={(state) => onOpened(state ? 'open' : 'closed')}
      position="bottom-start"
      width={180}
    >
      <Menu.Target>
        <button type="button" className="iconbtn iconbtn--line">{label}<Icon name="down" size={12} /></button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('alerts/status')}</Menu.Label>
        {STATUSES.map((status) => (
          <Menu.Item key={status} onClick={() => onPick({ status })}>{t(`status/${status}`)}</Menu.Item>
        ))}
        <Menu.Label>{t('alerts/finding')}</Menu.Label>
        {FINDINGS.map((finding) => (
          <Menu.Item key={finding} onClick={() => onPick({ finding })}>{t(`finding/${finding}`)}</Menu.Item>
        ))}
        <Menu.Item onClick={() => onPick({ finding: '' })}>{t('finding/none')}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
