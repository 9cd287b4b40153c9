// Evidence taken there: the plans that ask for it, and what they brought. Bytes are for
// administrators, and leave the server only as an attachment.
import { Button } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useArtifacts, useSession } from '../../api/hooks';
import type { Artifact, Endpoint, Plan } from '../../api/types';
import type { EvidenceTarget, EvidenceVerb } from '../../components/EvidenceDialog';
import { Blank, More, Panel, Ready } from '../../components/Panel';
import { PlanRow } from '../../components/PlanChip';
import { Stamp } from '../../components/Time';
import { SafeText, Val } from '../../components/Val';
import { bytes } from '../../lib/format';

const VERBS: EvidenceVerb[] = ['collect', 'scan', 'list_live'];
/** Plans of evidence; those of other verbs stand under Responses. */
const TAKES: ReadonlySet<string> = new Set(['dump', 'collect', 'scan', 'list_live', 'crossview']);
const PLANS_SHOWN = 10;

interface Props {
  endpoint: Endpoint;
  plans: Plan[];
  onAsk: (target: EvidenceTarget) => void;
}

export function Evidence({ endpoint, plans, onAsk }: Props) {
  const { t } = useTranslation();
  const answer = useArtifacts({ endpoint: endpoint.id, limit: 100 });
  const asked = plans.filter((plan) => TAKES.has(plan.verb)).slice(0, PLANS_SHOWN);
  return (
    <div className="stack evidence">
      <div className="row wrap">
        {VERBS.map((verb) => (
          <Button key={verb} variant="default" onClick={() => onAsk({ verb, endpoint })}>{t(`evidence/${verb}`)}</Button>
        ))}
        <span className="muted">{t('evidence/dumpWhere')}</span>
      </div>
      <Panel title={t('evidence/plans')} body="flush">
        {asked.length === 0 ? <Blank>{t('evidence/plansEmpty')}</Blank> : asked.map((plan) => <PlanRow key={plan.id} plan={plan} />)}
      </Panel>
      <Panel title={t('evidence/artifacts')} body="flush">
        <Ready answer={answer}>
          {(data) => {
            const items = data.pages.flatMap((page) => page.items);
            if (items.length === 0) return <Blank>{t('evidence/artifactsEmpty')}</Blank>;
            return (
              <>
                <Artifacts items={items} />
                <More answer={answer} />
              </>
            );
          }}
        </Ready>
      </Panel>
    </div>
  );
}

function Artifacts({ items }: { items: Artifact[] }) {
  const { t } = useTranslation();
  const session = useSession();
  const may = session.data?.user.role === 'admin';
  return (
    <>
      <table className="table">
        <thead>
          <tr>
            <th className="w-stamp">{t('evidence/taken')}</th>
            <th className="w-status">{t('evidence/kind')}</th>
            <th>{t('evidence/name')}</th>
            <th className="w-num num">{t('evidence/size')}</th>
            <th>{t('evidence/sha256')}</th>
            <th className="w-action"><span className="sr-only">{t('evidence/download')}</span></th>
          </tr>
        </thead>
        <tbody>
          {items.map((one) => (
            <tr key={one.plan} data-artifact={one.plan}>
              <td><Stamp time={one.taken} /></td>
              <td>{t([`evidence/is/${one.kind}`, one.kind])}</td>
              <td><SafeText text={one.name} /></td>
              <td className="num">{bytes(one.size)}</td>
              <td><Val field="file.hash.sha256" value={one.sha256} /></td>
              <td>
                {may ? (
                  <a href={`/api/v1/artifacts/${one.plan}/content`} download aria-label={t('evidence/downloadOf', { kind: t([`evidence/is/${one.kind}`, one.kind]) })}>
                    {t('evidence/download')}
                  </a>
                ) : (
                  <span className="muted">–</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="note">{t(may ? 'evidence/care' : 'evidence/adminOnly')}</p>
    </>
  );
}
