{{- define "pnap.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "pnap.fullname" -}}
{{- default (include "pnap.name" .) .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "pnap.account" -}}
{{- default (include "pnap.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "pnap.secret" -}}
{{- default (include "pnap.fullname" .) .Values.configSecret.name -}}
{{- end -}}

{{- define "pnap.labels" -}}
app: {{ include "pnap.name" . }}
app.kubernetes.io/name: {{ include "pnap.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "pnap.selector" -}}
app: {{ include "pnap.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
