{{- define "espalier.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "espalier.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "espalier.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "espalier.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Selector of a role: (dict "root" $ "role" "api") */}}
{{- define "espalier.selector" -}}
app.kubernetes.io/name: {{ include "espalier.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "espalier.labels" -}}
{{ include "espalier.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: espalier
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Image: (dict "root" $ "own" .Values.worker.image), own wins where it says something */}}
{{- define "espalier.image" -}}
{{- $repository := .own.repository | default .root.Values.image.repository -}}
{{- $digest := ternary .own.digest (.own.digest | default .root.Values.image.digest) (ne .own.repository "") -}}
{{- $tag := .own.tag | default .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- if $digest }}{{ $repository }}@{{ $digest }}{{ else }}{{ $repository }}:{{ $tag }}{{ end }}
{{- end }}

{{- define "espalier.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "espalier.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{/* Whether something that is auto, true or false applies: (dict "root" $ "value" .. "api" "keda.sh/v1alpha1"); the empty string is no */}}
{{- define "espalier.applies" -}}
{{- $value := toString .value -}}
{{- if or (eq $value "true") (and (eq $value "auto") (.root.Capabilities.APIVersions.Has .api)) }}yes{{ end }}
{{- end }}

{{- define "espalier.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "espalier.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "espalier.jdbc" -}}
jdbc:postgresql://{{ .Values.database.host }}:{{ .Values.database.port }}/{{ .Values.database.name }}?sslmode={{ .Values.database.sslMode }}
{{- with .Values.database }}
{{- if .rootCertificate.existingSecret -}}
&sslrootcert=/secrets/database/{{ .rootCertificate.key }}
{{- else if hasPrefix "verify-" .sslMode -}}
&sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory
{{- end }}
{{- end }}
{{- end }}

{{/* Where the database is and who we are there. */}}
{{- define "espalier.databaseEnv" -}}
- name: ESPALIER_DATABASE_MODE
  value: external
- name: SPRING_DATASOURCE_URL
  value: {{ include "espalier.jdbc" . | quote }}
- name: SPRING_DATASOURCE_USERNAME
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret.name }}
      key: {{ .Values.database.existingSecret.userKey }}
- name: SPRING_DATASOURCE_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret.name }}
      key: {{ .Values.database.existingSecret.passwordKey }}
{{- end }}

{{/* Settings as variables: a map of key to value. */}}
{{- define "espalier.settingsEnv" -}}
{{- range $key, $value := . }}
- name: {{ $key | upper | replace "." "_" | replace "-" "_" }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{/* What API and workers have in common. */}}
{{- define "espalier.commonEnv" -}}
{{ include "espalier.databaseEnv" . }}
- name: ESPALIER_DATABASE_MIGRATE
  value: {{ not .Values.migrations.job | quote }}
- name: ESPALIER_DATA_DIR
  value: /data
- name: ESPALIER_ROOTS
  value: {{ ternary "/data/models,/data/texts" "/models,/data/models,/data/texts" (empty .Values.storage.models.existingClaim) }}
- name: SERVER_ADDRESS
  value: 0.0.0.0
- name: SERVER_PORT
  value: "8080"
- name: MANAGEMENT_SERVER_PORT
  value: "8081"
{{- if eq .Values.storage.artifacts "s3" }}
- name: ESPALIER_ARTIFACTS_STORE
  value: s3
- name: ESPALIER_S3_BUCKET
  value: {{ .Values.storage.s3.bucket | quote }}
- name: ESPALIER_S3_PREFIX
  value: {{ .Values.storage.s3.prefix | quote }}
- name: ESPALIER_S3_REGION
  value: {{ .Values.storage.s3.region | quote }}
- name: ESPALIER_S3_PATH_STYLE
  value: {{ .Values.storage.s3.pathStyle | quote }}
{{- with .Values.storage.s3.endpoint }}
- name: ESPALIER_S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.storage.s3.publicEndpoint }}
- name: ESPALIER_S3_PUBLIC_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.storage.s3.existingSecret }}
{{- if .name }}
- name: ESPALIER_S3_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .accessKeyKey }}}}
- name: ESPALIER_S3_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .secretKeyKey }}}}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.monitoring.tracing.endpoint }}
- name: MANAGEMENT_TRACING_EXPORT_ENABLED
  value: "true"
- name: MANAGEMENT_OPENTELEMETRY_TRACING_EXPORT_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
- name: LOGGING_STRUCTURED_FORMAT_CONSOLE
  value: ecs
{{- include "espalier.settingsEnv" .Values.settings }}
{{- end }}

{{- define "espalier.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- define "espalier.dataVolume" -}}
{{- if eq .Values.storage.artifacts "files" }}
- name: data
  persistentVolumeClaim:
    claimName: {{ .Values.storage.data.existingClaim | default (printf "%s-data" (include "espalier.fullname" .)) }}
{{- end }}
{{- if .Values.storage.models.existingClaim }}
- name: models
  persistentVolumeClaim:
    claimName: {{ .Values.storage.models.existingClaim }}
    readOnly: true
{{- end }}
{{- end }}

{{- define "espalier.rootCertificateVolume" -}}
{{- with .Values.database.rootCertificate }}
{{- if .existingSecret -}}
- name: root-certificate
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .key }}, path: {{ .key }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "espalier.rootCertificateMount" -}}
{{- if .Values.database.rootCertificate.existingSecret -}}
- {name: root-certificate, mountPath: /secrets/database, readOnly: true}
{{- end }}
{{- end }}

{{- define "espalier.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    # why: pods of the version that is being replaced do not count
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels: {{- include "espalier.selector" . | nindent 8 }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    # why: pods of the version that is being replaced do not count
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels: {{- include "espalier.selector" . | nindent 8 }}
{{- end }}

{{/* What the schema cannot say. */}}
{{- define "espalier.check" -}}
{{- $needed := add .Values.worker.drainSeconds (mul 2 .Values.worker.shutdownWaitSeconds) -}}
{{- if le (int .Values.worker.terminationGracePeriodSeconds) (int $needed) }}
{{- fail (printf "worker.terminationGracePeriodSeconds: %d (expected: more than %d, which is drainSeconds and twice shutdownWaitSeconds, so that a pod is not killed while it saves)" (int .Values.worker.terminationGracePeriodSeconds) (int $needed)) }}
{{- end }}
{{- if le (int .Values.api.terminationGracePeriodSeconds) (int (add 30 .Values.api.preStopSeconds)) }}
{{- fail (printf "api.terminationGracePeriodSeconds: %d (expected: more than %d, which is preStopSeconds and the 30 s that requests may take to end)" (int .Values.api.terminationGracePeriodSeconds) (int (add 30 .Values.api.preStopSeconds))) }}
{{- end }}
{{- if gt (int .Values.api.autoscaling.minReplicas) (int .Values.api.autoscaling.maxReplicas) }}
{{- fail (printf "api.autoscaling: minReplicas %d, maxReplicas %d (expected: min at most max)" (int .Values.api.autoscaling.minReplicas) (int .Values.api.autoscaling.maxReplicas)) }}
{{- end }}
{{- if gt (int .Values.worker.keda.minReplicas) (int .Values.worker.keda.maxReplicas) }}
{{- fail (printf "worker.keda: minReplicas %d, maxReplicas %d (expected: min at most max)" (int .Values.worker.keda.minReplicas) (int .Values.worker.keda.maxReplicas)) }}
{{- end }}
{{- end }}
