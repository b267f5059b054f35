{{- define "cpem.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "cpem.fullname" -}}
{{- default (include "cpem.name" .) .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "cpem.account" -}}
{{- default (include "cpem.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "cpem.labels" -}}
app: {{ include "cpem.name" . }}
app.kubernetes.io/name: {{ include "cpem.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "cpem.selector" -}}
app: {{ include "cpem.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
