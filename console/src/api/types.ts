// Short names for the server's shapes. They are generated (schema.d.ts, from openapi/openapi.json):
// nothing is spelled twice.
import type { components } from './schema';

type Schemas = components['schemas'];

export type Level = Schemas['Level'];
export type AlertStatus = Schemas['AlertStatus'];
export type Finding = Schemas['AlertFinding'];
export type Scalar = Schemas['FieldValue'];
export type Count = Schemas['FacetValue'];
export type Session = Schemas['Session'];
export type Loss = Schemas['Loss'];
export type AlertSummary = Schemas['AlertSummary'];
export type AlertDetail = Schemas['Alert'];
export type AlertPatch = Schemas['AlertPatch'];
export type AlertPage = Schemas['AlertPage'];
export type DetectionRef = Schemas['DetectionRef'];
export type Matched = Schemas['Matched'];
export type Highlight = Schemas['Highlight'];
export type ScorePart = Schemas['ScorePart'];
export type ProcessTree = Schemas['Tree'];
export type TreeNode = Schemas['TreeNode'];
export type EventRow = Schemas['EventRow'];
export type TimelinePage = Schemas['Timeline'];
export type HookTrial = Schemas['HookTrial'];
export type Coverage = Schemas['Coverage'];
export type Endpoint = Schemas['Endpoint'];
export type EndpointList = Schemas['EndpointList'];
export type Plan = Schemas['Plan'];
export type PlanState = Schemas['PlanState'];
export type PlanPage = Schemas['PlanPage'];
export type ResponseRequest = Schemas['ResponseRequest'];
export type Overview = Schemas['Overview'];
export type ServerStatus = Schemas['Stats'];
export type Storage = Schemas['Storage'];
export type Bucket = Schemas['Bucket'];
export type SearchAnswer = Schemas['SearchAnswer'];
export type InventoryItem = Schemas['InventoryItem'];
export type InventoryPage = Schemas['InventoryPage'];
export type InventorySurvey = Schemas['InventorySurvey'];
export type FilePage = Schemas['FilePage'];
export type FleetFile = Schemas['FleetFile'];
export type NotLookedAt = Schemas['NotLookedAt'];
export type FieldInfo = Schemas['SearchField'];
export type TechniqueRow = Schemas['Technique'];
export type TechniqueList = Schemas['TechniqueList'];
export type TechniqueHit = Schemas['Hit'];
export type HitPage = Schemas['HitPage'];
